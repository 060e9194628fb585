/** A client that sends whatever it is told to: grpc-js and the generated codecs, not ours. */
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { MethodDefinition } from "@grpc/grpc-js";

/** How a call ended: "ok", the code that the server chose, or gRPC's own status as "grpc 8". */
export type Ending<Response> = { code: string; message: string; responses: Response[] };

export type RawClient = ReturnType<typeof openRawClient>;

const deadlineMs = 20_000;

/** Opens a client to a server, for a token or for nobody. */
export function openRawClient(url: string, token?: string, headers: Record<string, string> = {}) {
  const client = new Client(new URL(url).host, credentials.createInsecure(), {
    "grpc.enable_retries": 0,
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
  });
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const options = () => ({ deadline: Date.now() + deadlineMs });

  function unary<Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    request: Request,
  ): Promise<Ending<Response>> {
    const { promise, resolve } = Promise.withResolvers<Ending<Response>>();
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      options(),
      (error, response) => resolve(error ? failed(error) : ended(response ? [response] : [])),
    );
    return promise;
  }

  /** Sends the requests, then ends the stream, or resets it in the middle. */
  function clientStream<Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    requests: readonly Request[],
    how: { reset?: boolean } = {},
  ): Promise<Ending<Response>> {
    const { promise, resolve } = Promise.withResolvers<Ending<Response>>();
    const call = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      options(),
      (error, response) => resolve(error ? failed(error) : ended(response ? [response] : [])),
    );
    call.on("error", () => {});
    let left = requests.length;
    for (const request of requests) {
      // The last one must be on its way before the stream is reset.
      call.write(request, () => --left === 0 && how.reset && call.cancel());
    }
    if (!how.reset) call.end();
    return promise;
  }

  async function serverStream<Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    request: Request,
  ): Promise<Ending<Response>> {
    const call = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      options(),
    );
    const responses: Response[] = [];
    try {
      for await (const response of call) responses.push(response as Response);
      return ended(responses);
    } catch (error) {
      return { ...failed(error as ServiceError), responses };
    }
  }

  return { unary, clientStream, serverStream, [Symbol.dispose]: () => client.close() };
}

/** A method whose requests are bytes that its codec would not have written. */
export function withRawRequests<Request, Response>(
  method: MethodDefinition<Request, Response>,
): MethodDefinition<Uint8Array, Response> {
  return {
    ...method,
    requestSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    requestDeserialize: (bytes: Buffer) => bytes,
  };
}

function ended<Response>(responses: Response[]): Ending<Response> {
  return { code: "ok", message: "", responses };
}

function failed(error: ServiceError): Ending<never> {
  const chosen = error.metadata?.get("pogo-code")[0]?.toString();
  return { code: chosen ?? `grpc ${error.code}`, message: error.details, responses: [] };
}
