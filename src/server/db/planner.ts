/**
 * What both engines are told of plans. Every query of ours finds a few rows by an index, often in
 * its order. A database that has not counted its rows yet, as after an import, would rather gather
 * all rows of a repository and sort them. And compiling a plan takes longer than any query.
 */
export const plannerSettings = { enable_bitmapscan: "off", enable_sort: "off", jit: "off" };
