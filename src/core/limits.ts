/**
 * Every bound on what somebody else can have us read, hold, spend or wait for, with its reason.
 * How work is cut up for speed alone stands where the work is done.
 */
const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;
const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** Expiry and retention are told in days. */
export const dayMs = 24 * hourMs;

// Messages

/** Bound of one wire message: grpc-js refuses more than 4 MiB, and a stream stays fair below. */
export const messageBytesMax = 1 * mib;

/** What a message may take on the wire: its framing is not its sender's to choose. */
export const wireMessageBytesMax = messageBytesMax + 64 * kib;

/** What a list gathers before it sends a message: half of one, so the next entry always fits. */
export const answerBytes = 512 * kib;

/** The same where entries are larger; what does not fit is told by another call. */
export const operationAnswerBytes = 256 * kib;

/** Payload that a sender gathers before it sends a message: leaves room for its framing. */
export const frameBytes = 256 * kib;

/** What may be on its way to a client: 10 MB/s at a round trip of 100 ms. */
export const windowBytes = 1 * mib;

// Objects, trees and texts

/** A file larger than this is stored as a list of chunks. It bounds what is held in memory. */
export const objectBytesMax = 4 * mib;

/**
 * Content-defined chunks: see core/chunk.ts. The maximum is one object. Of a file of 5 GiB in which
 * 1 MiB was overwritten 1.9 MiB of chunks are sent, and 0.6 MiB of hashes. With an average of 1 MiB
 * it is 2.8 and 0.3, with 256 KiB 1.4 and 1.2.
 */
export const chunkBytesMin = 128 * kib;
export const chunkBytesAverage = 512 * kib;
export const chunkBytesMax = objectBytesMax;

/** A chunk list of this size describes some 500 GiB. */
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

// Names, and what a request may hold

/** A name is typed, and shown in a line; a bookmark's has a path of its own in it at times. */
export const bookmarkBytesMax = 200;
export const repositoryNameBytesMax = 100;
export const userNameBytesMax = 64;
export const tokenNameBytesMax = 100;

/** Rules for bookmarks in a repository: all are looked at whenever a bookmark moves. */
export const rulesMax = 100;

/** Programs that a repository believes by what others sign, and what it says of each. */
export const trustsMax = 100;
export const trustTextBytesMax = 1000;

/** Secrets of a repository, and how large one is: a chain of certificates fits, no archive. */
export const secretsMax = 100;
export const secretNameBytesMax = 100;
export const secretBytesMax = 48 * kib;

/** What stands in place of obliterated contents, and why they are, which is a part of it. */
export const placeholderBytesMax = 2 * kib;
export const reasonBytesMax = 500;

/** As long as a server may take that was about to put, or to cache, what was obliterated. */
export const obliteratedKeptMs = 2 * dayMs;

/** Logins that wait to be confirmed elsewhere: anyone may begin one. */
export const ssoLoginsMax = 1000;

/** A longer password is no password: it would only keep the directory busy. */
export const passwordBytesMax = 1024;

/** An invite lies in somebody's mail: long enough for a holiday, and no longer. */
export const inviteMsMax = 30 * dayMs;

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

/** Paths that a query asks about: a log of more is a log of all. */
export const pathsPerRequestMax = 1000;

/** Changes that an ambiguous prefix names: more would not fit in a line that anybody reads. */
export const candidatesMax = 10;

/** Paths in conflict: more are neither sent nor recorded, as nobody reads them. */
export const conflictsToldMax = 1000;

/** A parent is told by the beginning of its description, so that a change fits in a message. */
export const parentDescriptionLength = 200;

/** Bookmarks that are told with a change, for the same reason. */
export const bookmarksToldMax = 100;

/** A part of a backup's snapshot: a row at least, and a tree's is twice as long in hexadecimal. */
export const snapshotFrameBytesMax = 256 * mib;

/** A conflict of more sides than this is not resolved by reading it. */
export const conflictSidesMax = 64;

/** Later years have more than four digits, which PostgreSQL does not read. */
export const expiresAtMax = Date.UTC(10_000, 0) - 1;

// Connections

/** A connection that says nothing, or hardly anything, holds a descriptor. */
export const requestHeadMs = 10 * secondMs;

/** So does one that stops in the middle of a request's body, or takes no answer. */
export const webIdleMs = 30 * secondMs;

/** Calls under way on one connection: a client has a few, and each costs memory. */
export const streamsPerConnectionMax = 100;

/** A connection without a call: whoever has more to ask connects again, unnoticed. */
export const connectionIdleMs = 10 * minuteMs;

/** An end that has vanished would else be waited for until TCP gives up: a quarter of an hour. */
export const keepaliveMs = 30 * secondMs;
export const keepaliveAnswerMs = 20 * secondMs;

/** A call of one answer: as long as the slowest takes on a server that is busy. */
export const unaryDeadlineMs = minuteMs;

/** A commit of a first import inserts a row for each file. */
export const commitDeadlineMs = 10 * minuteMs;

/** To a server that is asked for its certificate; somebody waits. */
export const connectMs = 15 * secondMs;

/** As long as a container runtime waits before it kills, or nearly. */
export const drainMs = 8 * secondMs;

/** What is under way in the database then ends with the transaction that it is in. */
export const databaseCloseSeconds = 5;

/** A load balancer that asks for our health waits no longer. */
export const healthMs = 2 * secondMs;

/** Statements at once: PostgreSQL has a process for each. */
export const databaseConnectionsMax = 10;

/** A certificate that was replaced is shown so soon. */
export const certificateWatchMs = 5 * secondMs;

/** A certificate of our own is pinned by every client: another one means asking all of them. */
export const selfSignedMs = 10 * 365 * dayMs;

// Content delivery

/** An object is fetched elsewhere if that saves more than asking there costs. */
export const publicUrlBytesMin = 16 * kib;
export const urlBytesMin = 256 * kib;

/** URLs are made for whole hours, so that all who ask within one get the same, and share a copy. */
export const urlStepMs = hourMs;

/** Objects that a client fetches at a time: what hides the way there, and fits in memory. */
export const urlFetchesMax = 8;

/** A delivery network that stops in the middle is given up, and so is one that is too slow. */
export const urlIdleMs = 10 * secondMs;
export const urlFetchMs = 10 * minuteMs;

/** What a version's archive may be kept for: it never changes, but who may see it can. */
export const archiveCacheSeconds = 24 * 60 * 60;

// Who may come in, and how often

/** A person who mistypes a token does so a few times. */
export const guessesFree = 10;

/** Each guess more waits longer, until guessing is hopeless and a mistake is still bearable. */
export const guessDelayStepMs = 100;
export const guessDelayMsMax = 2 * secondMs;

/** Whoever has not guessed for a while begins anew. */
export const guessesForgottenMs = minuteMs;

/** Addresses and tokens that are remembered: some ten megabytes. */
export const callersRememberedMax = 100_000;

/**
 * Calls of one token, and of one address, which a whole office may share. Calls are counted, not
 * bytes: a command makes some ten, a clone one for every 16,384 files and for every large one, a
 * push one for every 8 MiB, so that only a program that runs wild feels it, or one with gigabytes
 * a second to send. A server answers some thousands a second, and one token gets a part of that.
 */
export const callsPerToken = { burst: 5000, perSecond: 500 };
export const callsPerAddress = { burst: 20_000, perSecond: 2000 };

/** Who called too often comes back no sooner, so that being refused is not the work. */
export const callRetryMs = secondMs;

/** A stream that is being sent cannot be sent again: it waits for its turn, but not for ever. */
export const streamTurnMsMax = 10 * secondMs;

/** A client waits for so long altogether, by itself, before it says that it was refused. */
export const callPatienceMs = minuteMs;

/** Whoever tries something again and again fills no disk with it. */
export const refusalRepeatedMs = minuteMs;
export const refusalsRememberedMax = 10_000;

/** A stream may go on for hours; a token that is revoked is good no longer than this. */
export const tokenCheckedAgainMs = 5 * secondMs;

/** The last use of a token is noted no more often: each note is a write. */
export const tokenUsedAgainMs = minuteMs;

/** A token that people choose must be as hard to guess as it is easy to type. */
export const rootTokenLengthMin = 20;

/** So must a passphrase that keys are made from. */
export const passphraseLengthMin = 12;

/** A longer life is told by having no end. */
export const tokenDaysMax = 3650;

/** A token that a build gets lasts as long as a build that nobody gives up on. */
export const workloadTokenMs = hourMs;

/** What an issuer signed is used at once: an old one was found somewhere. */
export const workloadAgeSecondsMax = 3600;

/** Clocks differ by so much. */
export const clockToleranceSeconds = 30;

/** A login that waits for a browser: whoever began it has gone away by then. */
export const ssoLoginMsMax = 30 * minuteMs;

/** One that waits for a browser on the same machine: somebody sits there. */
export const ssoBrowserMs = 10 * minuteMs;

/** What such a browser comes back with stands in an address, and those are no longer. */
export const ssoAnswerBytesMax = 8 * kib;

/** A provider's description of itself: in time, and some pages of text. */
export const discoveryMs = 10 * secondMs;
export const discoveryBytesMax = 256 * kib;

/** A directory that takes longer is down; somebody waits at a prompt. */
export const directoryMs = 10 * secondMs;

/** What a token may be that somebody pastes, and what else may come on a pipe. */
export const tokenBytesMax = 4 * kib;
export const inputBytesMax = 64 * kib;

// What is tried again

/** Everybody who is faster makes a version, so somebody always gets on. */
export const mutationAttemptsMax = 10;

/** A sync that somebody overtakes starts over, on the server: a busy bookmark has a queue. */
export const syncAttemptsMax = 100;

/** Of those who rewrite the same changes at once, one gets on every time. */
export const rewriteAttemptsMax = 50;

/** A transaction that met another: PostgreSQL ends one of the two, and it is done again. */
export const transactionAttemptsMax = 8;

/** Together about ten seconds: longer than a service takes to let another node answer. */
export const bucketAttemptsMax = 6;
export const bucketRetryMsMax = 5 * secondMs;

/** The longest that one request may take: a part on a slow line, or a service gone silent. */
export const bucketRequestMs = minuteMs;

// What is held in memory

/** Objects that are read before their turn: enough to hide the disk, little enough to hold. */
export const readAheadBytes = 8 * mib;
export const readAheadCount = 32;

/** One is made durable while one is received, and what their messages leave behind is much more. */
export const putGroupBytes = 8 * mib;
export const putGroupCount = 4096;

/** What one query may bring: a directory is large at times, and travels as text of twice that. */
export const treesReadBytes = 4 * mib;

/** Graphs that are remembered: a version takes some hundred bytes. */
export const graphVersionsMax = 200_000;
export const graphRepositoriesMax = 16;

/** What merges remember: trees, in bytes, and versions, with a description of some lines each. */
export const mergeTreesBytesMax = 16 * mib;
export const mergeVersionsMax = 4096;

/** Texts of virtual bases that are held in memory: more are stored, as garbage. */
export const virtualTextBytesMax = 64 * mib;

// What comparing and merging may cost

/** Criss-cross histories make bases of bases; deeper ones than this are taken as they come. */
export const virtualDepthMax = 20;

/**
 * With more than two bases at each step back their number multiplies: past this many virtual
 * merges the oldest of the bases stands for all.
 */
export const virtualMergesMax = 500;

/** Pieces compared, a second or two: a move of thousands of files at once that were all edited. */
export const renameStepsMax = 500_000_000;

/** Larger files are moved whole or not recognised: reading them costs more than it tells. */
export const renamedFileBytesMax = 8 * mib;

/** Of all files together: what is read to find renames is held in memory for a moment. */
export const renameReadBytesMax = 256 * mib;

/** Larger texts are not read by people side by side, nor are more of them. */
export const markedTextBytesMax = 1 * mib;
export const markedSidesMax = 8;

/** Who makes a conflict that large has written something else. */
export const markedFileBytesMax = 16 * mib;

// What is kept

/** A put that takes longer is given up: objects that nobody holds stay much longer than that. */
export const putMsMax = 20 * minuteMs;

/** Audit events, unless a server is told otherwise: a yearly review sees a whole year. */
export const auditKeptMsUnlessSaid = 400 * dayMs;

/** What a store was receiving so long ago, nobody sends any more. */
export const abandonedMs = dayMs;

/** A walk that was not heard of for so long has died with its server. */
export const walkSilentMinutes = 15;

/** Objects of a bucket that are kept on a server's disk, unless it is told otherwise. */
export const objectCacheBytesUnlessSaid = 4 * gib;

/** Objects that a client keeps; larger ones are few, and would push out many. */
export const cacheBytesMax = 512 * mib;
export const cacheEntryBytesMax = 1 * mib;

/** What a working copy threw away, and can get back. */
export const discardsKept = 100;
export const discardDays = 30;
