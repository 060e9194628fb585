/** Progress of long work: one line on stderr, on a terminal only, redrawn ten times a second. */
import { printable, writeStderr } from "./output.ts";

/** What was done of a job, or is to be done: either measure may be missing. */
export type Amount = { files?: number; bytes?: number };

/** A job under way; closing it clears its line. */
export type ProgressLine = Disposable & {
  /** Counts what was done since the last call. */
  add(amount: Amount): void;
  /** Sets how much there is to do, when it becomes known. */
  total(amount: Amount): void;
};

/** Starts to show a job: `using line = context.progress("uploading")`. */
export type Progress = (label: string, total?: Amount) => ProgressLine;

const redrawMs = 100;

/** Progress that nobody sees. */
export const noProgress: Progress = () => ({ add() {}, total() {}, [Symbol.dispose]() {} });

/** Progress on the terminal that stderr is. */
export function terminalProgress({ columns }: { columns: () => number }): Progress {
  return (label, expected = {}) => {
    const done = { files: 0, bytes: 0 };
    const total = { ...expected };
    const startedMs = performance.now();
    let drawnMs = startedMs;
    const draw = () => {
      const elapsedMs = performance.now() - startedMs;
      const line = progressText({ label, done, total, elapsedMs });
      writeStderr(`\r\x1b[K${line.slice(0, Math.max(columns() - 1, 20))}`);
    };
    const drawIfDue = () => {
      const nowMs = performance.now();
      if (nowMs - drawnMs < redrawMs) return;
      drawnMs = nowMs;
      draw();
    };
    // A job that waits for the network must not look as if it had stopped.
    const timer = setInterval(drawIfDue, redrawMs * 5);
    timer.unref();
    return {
      add({ files = 0, bytes = 0 }) {
        done.files += files;
        done.bytes += bytes;
        drawIfDue();
      },
      total(amount) {
        Object.assign(total, amount);
        drawIfDue();
      },
      [Symbol.dispose]() {
        clearInterval(timer);
        if (drawnMs !== startedMs) writeStderr("\r\x1b[K");
      },
    };
  };
}

type Measured = {
  label: string;
  done: { files: number; bytes: number };
  total: Amount;
  elapsedMs: number;
};

/** The line for a job: label, share, files, bytes, rate, time left. */
export function progressText({ label, done, total, elapsedMs }: Measured): string {
  const parts: string[] = [];
  const share = shareDone(done, total);
  if (share !== undefined) parts.push(`${Math.floor(share * 100)}%`.padStart(4));
  if (done.files > 0 || total.files) parts.push(`${outOf(done.files, total.files, String)} files`);
  if (done.bytes > 0 || total.bytes) parts.push(outOf(done.bytes, total.bytes, byteText));
  const seconds = elapsedMs / 1000;
  if (done.bytes > 0 && seconds > 0.5) parts.push(`${byteText(done.bytes / seconds)}/s`);
  if (share !== undefined && share > 0 && share < 1 && seconds > 2) {
    parts.push(`${durationText((seconds / share) * (1 - share))} left`);
  }
  return `${printable(label, false)} ${parts.join(", ")}`.trimEnd();
}

/** A number of bytes as people read it. */
export function byteText(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A time as people read it. */
export function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

function shareDone(done: Required<Amount>, total: Amount): number | undefined {
  if (total.bytes) return Math.min(done.bytes / total.bytes, 1);
  if (total.files) return Math.min(done.files / total.files, 1);
  return undefined;
}

function outOf(done: number, total: number | undefined, text: (amount: number) => string): string {
  return total ? `${text(done)} of ${text(total)}` : text(done);
}
