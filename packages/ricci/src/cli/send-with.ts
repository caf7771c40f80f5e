// In a file of its own: what is loaded when it is needed has to be ours. A package that is no ES module loses its names when the bundle loads it so.
import { Agent, fetch, type RequestInit as UndiciRequest } from 'undici'

/** As `fetch`, over a connection that is made so. @param connect the authority's certificates; milliseconds that connecting may take */
export async function sendWith(
  connect: { readonly ca?: string; readonly timeout?: number },
  url: URL,
  how: RequestInit,
): Promise<Response> {
  // one request: its connection ends with the answer
  const dispatcher = new Agent({ connect, pipelining: 0 })
  return (await fetch(url, { ...(how as UndiciRequest), dispatcher })) as unknown as Response
}
