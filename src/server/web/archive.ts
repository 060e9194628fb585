import { archiveCacheSeconds } from "#core/limits.ts";
import { isChangeName } from "#core/name.ts";
import { parseRevision } from "#core/revision.ts";
import { ArchiveFormat, ArchiveServiceService } from "#gen/pogo/v1/archive.ts";
import { openArchive } from "../services/archive.ts";
import type { CallHandlers, Parts } from "../services/calls.ts";
import { isUnchanged, text, type WebAnswer, type WebRequest } from "./answer.ts";
import { answerCall } from "./call.ts";

const formats = {
  zip: { format: ArchiveFormat.ARCHIVE_FORMAT_ZIP, type: "application/zip" },
  "tar.zst": { format: ArchiveFormat.ARCHIVE_FORMAT_TAR_ZSTD, type: "application/zstd" },
};

/** Answers with the files of a version, as `pogo archive` writes them. */
export async function answerArchive(
  parts: Parts,
  calls: CallHandlers,
  request: WebRequest,
): Promise<WebAnswer> {
  const { repository = "", file = "" } = request.parameters;
  const [, revision = "", extension] = /^(.+?)\.(zip|tar\.zst)$/.exec(file) ?? [];
  if (extension === undefined) return text(404, "an archive is REVISION.zip or REVISION.tar.zst\n");
  const { format, type } = formats[extension as keyof typeof formats];
  const asked = { repository, revision, format, paths: request.query.getAll("path") };
  const method = ArchiveServiceService.getArchive.path;
  return await answerCall(calls, { request, method, asked }, async (caller, whileValid) => {
    const { change, isPublic, tag, bytes } = await openArchive(parts, asked, caller);
    const lasting = isFixed(revision) ? `max-age=${archiveCacheSeconds}, immutable` : "no-cache";
    const headers = {
      etag: `W/"${tag}"`,
      "cache-control": `${isPublic ? "public" : "private"}, ${lasting}`,
      vary: "authorization",
    };
    if (isUnchanged(request, headers.etag)) return { status: 304, headers, body: "" };
    const name = `${repository}-${change.name}-${change.version}.${extension}`;
    const disposition = { "content-disposition": `attachment; filename="${name}"` };
    return {
      status: 200,
      headers: { ...headers, ...disposition, "content-type": type },
      body: whileValid(bytes()),
    };
  });
}

/** Tells whether a revision names one version for ever. */
function isFixed(revision: string): boolean {
  const { base, steps } = parseRevision(revision);
  return isChangeName(base) && steps.length === 1 && steps[0]?.kind === "version";
}
