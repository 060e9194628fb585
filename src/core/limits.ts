const kib = 1024;
const mib = 1024 * kib;

/** Bound of one wire message: grpc-js refuses more than 4 MiB, and a stream stays fair below. */
export const messageBytesMax = 1 * mib;

/** Payload that a sender gathers before it sends a message: leaves room for its framing. */
export const frameBytes = 256 * kib;

/** A file larger than this is stored as a list of chunks. It bounds what is held in memory. */
export const objectBytesMax = 4 * mib;

/** Content-defined chunks: see core/chunk.ts. The maximum is one object. */
export const chunkBytesMin = 256 * kib;
export const chunkBytesAverage = 1 * mib;
export const chunkBytesMax = objectBytesMax;

/** A chunk list of this size describes some 900 GiB. */
export const chunkListBytesMax = 32 * mib;

/** One directory's encoding: about a million entries. */
export const treeBytesMax = 64 * mib;

/** File systems people use stop at 255 bytes a name. */
export const nameBytesMax = 255;

/** A PostgreSQL B-tree entry holds at most 2,704 bytes, and a path stands in two of them. */
export const pathBytesMax = 2048;

/** Larger texts are data that nobody merges by lines: all three are held in memory to do so. */
export const mergeTextBytesMax = 16 * mib;

/** A text of more lines is not compared by lines: its lines' numbers alone take 100 MiB. */
export const textLinesMax = 2_000_000;

/** Deeper trees are nobody's source code; the bound keeps recursion shallow. */
export const pathDepthMax = 256;

/**
 * Files in one snapshot. Trees are shared, so that a few of them could spell out more files than
 * anybody can walk over: the bound makes sure that every walk ends.
 */
export const snapshotFilesMax = 10_000_000;

/** Linux's PATH_MAX. */
export const symlinkBytesMax = 4095;

/** A description is prose. It must fit in a message with room to spare. */
export const descriptionBytesMax = 64 * kib;

export const bookmarkBytesMax = 200;
export const repositoryNameBytesMax = 100;
export const userNameBytesMax = 64;
export const tokenNameBytesMax = 100;

/** Rules for bookmarks in a repository: all are looked at whenever a bookmark moves. */
export const rulesMax = 100;

/** Programs that a repository believes by what others sign, and what it says of each. */
export const trustsMax = 100;
export const trustTextBytesMax = 1000;

/** Logins that wait to be confirmed elsewhere: anyone may begin one. */
export const ssoLoginsMax = 1000;

/** A longer password is no password: it would only keep the directory busy. */
export const passwordBytesMax = 1024;

/** An invite lies in somebody's mail: long enough for a holiday, and no longer. */
export const inviteMsMax = 30 * 24 * 60 * 60 * 1000;

/** A change with more parents than this is not a merge that a person can read. */
export const parentsMax = 16;

/** Hashes in one request: 16,384 × 32 bytes is half a message. */
export const hashesPerRequestMax = 16_384;

/** Changes, bookmarks or repositories in one message: unless their texts fill it first. */
export const pageMax = 100;

/** A larger file is not compared line by line: nobody reads such a patch. */
export const diffBytesMax = 16 * mib;

/** More changes are not rewritten at once: all are locked while their versions are written. */
export const rewrittenChangesMax = 5000;

/** Letters that name a change: 64 random bits. */
export const changeNameLength = 16;
