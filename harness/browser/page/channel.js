// The channel to the program that opened this page: one message is a command or an answer, with bytes behind it.
//
// A message is the length of its header (four bytes, little-endian), the header as JSON, and the parts whose lengths
// the header names, one after the other.

/**
 * @typedef {{parts?: number[], [name: string]: any}} Header
 * @typedef {{header: Header, parts: Uint8Array<ArrayBuffer>[]}} Message
 */

/**
 * @param {Header} header
 * @param {Uint8Array[]} parts
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(header, parts) {
  const text = new TextEncoder().encode(
    JSON.stringify({ ...header, parts: parts.map((part) => part.byteLength) }),
  );
  const size = parts.reduce((sum, part) => sum + part.byteLength, 4 + text.byteLength);
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, text.byteLength, true);
  bytes.set(text, 4);
  let start = 4 + text.byteLength;
  for (const part of parts) {
    bytes.set(part, start);
    start += part.byteLength;
  }
  return bytes;
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {Message}
 */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let start = 4 + length;
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  for (const size of header.parts ?? []) {
    // A copy: what kernels read must begin at a multiple of its element's size.
    parts.push(new Uint8Array(buffer.slice(start, start + size)));
    start += size;
  }
  return { header, parts };
}

/**
 * Opens the channel and answers commands one after the other until it closes.
 *
 * @param {string} url
 * @param {(message: Message) => Promise<{header: Header, parts?: Uint8Array[]}>} answer
 * @returns {Promise<void>} ends when the other side has closed the channel
 */
export function serve(url, answer) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    let queue = Promise.resolve();
    socket.onmessage = ({ data }) => {
      queue = queue.then(async () => {
        const message = decode(data);
        const { id } = message.header;
        try {
          const { header, parts } = await answer(message);
          socket.send(encode({ id, ...header }, parts ?? []));
        } catch (error) {
          socket.send(encode({ id, error: describe(error) }, []));
        }
      });
    };
    socket.onerror = () => reject(new Error('the channel failed'));
    socket.onclose = () => resolve();
  });
}

/**
 * An error in the browser's own words.
 *
 * @param {unknown} error
 */
export function describe(error) {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
