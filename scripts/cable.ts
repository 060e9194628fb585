/** A way to a server that counts what goes through it, and that can be cut. */
import { createServer, connect, type AddressInfo, type Socket } from "node:net";

/** Opens one that leads to a port of this machine. */
export async function openCable(port: number) {
  const open = new Set<Socket>();
  const counted = { sent: 0, received: 0 };
  let carried = 0;
  let cutAt = Infinity;
  let hold: { at: number; reached(): void } | undefined;
  const isHeld = () => hold !== undefined && carried >= hold.at;
  const carry = (from: Socket, to: Socket, way: keyof typeof counted) => {
    open.add(from);
    from.on("close", () => {
      open.delete(from);
      to.destroy();
    });
    from.on("error", () => to.destroy());
    from.on("data", (data: Buffer) => {
      const left = Math.max(0, Math.floor(cutAt - carried));
      carried += data.length;
      counted[way] += data.length;
      if (data.length <= left) {
        if (!to.write(data)) from.pause();
        if (isHeld()) {
          from.pause();
          hold?.reached();
        }
        return;
      }
      to.write(data.subarray(0, left), () => to.destroy());
      from.destroy();
    });
    to.on("drain", () => isHeld() || from.resume());
  };
  const server = createServer((near) => {
    if (carried >= cutAt) return void near.destroy();
    const far = connect(port, "127.0.0.1");
    carry(near, far, "sent");
    carry(far, near, "received");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: ownPort } = server.address() as AddressInfo;
  return {
    port: ownPort,
    url: `http://127.0.0.1:${ownPort}`,
    /** Bytes that went either way. */
    carried: () => carried,
    /** The same, each way by itself. */
    counted: () => ({ ...counted }),
    /** Breaks everything after so many more bytes, new connections too. */
    cutAfter(bytes: number) {
      cutAt = carried + bytes;
    },
    /** Lets nothing through after so many more bytes, and says when that is so. */
    holdAfter(bytes: number): Promise<void> {
      return new Promise((reached) => (hold = { at: carried + bytes, reached }));
    },
    /** Leads elsewhere from now on. */
    plug(other: number) {
      port = other;
    },
    mend() {
      cutAt = Infinity;
      hold = undefined;
      for (const socket of open) socket.resume();
    },
    [Symbol.dispose]() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
