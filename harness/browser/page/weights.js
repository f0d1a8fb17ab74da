// Weights: one body of bytes, fetched by ranges, several at a time, and handed over piece by piece, so that the page
// holds few of them.

/** Bytes of one range. */
const RANGE = 8 * 1024 * 1024;
/** Requests under way at a time. */
const REQUESTS = 4;

/**
 * Fetches what a program's buffers hold in the beginning. The body is all of it, one after the other, as `wanted`
 * lists them.
 *
 * @param {number} program
 * @param {{index: number, bytes: number}[]} wanted
 * @param {(index: number, start: number, bytes: Uint8Array<ArrayBuffer>) => void} take
 * @returns {Promise<{fetch_ms: number, upload_ms: number, weight_bytes: number}>} the time until the last piece was
 *   taken, and what taking the pieces took of it
 */
export async function fetchAll(program, wanted, take) {
  let size = 0;
  const places = wanted.map(({ index, bytes }) => {
    const place = { index, start: size, end: size + bytes };
    size = place.end;
    return place;
  });
  const begin = performance.now();
  let upload_ms = 0;
  let next = 0;
  const worker = async () => {
    while (next < size) {
      const start = next;
      const end = Math.min(size, start + RANGE);
      next = end;
      const bytes = await fetchRange(`content/${program}`, start, end);
      const came = performance.now();
      // Places are in order, so those of a range are neighbours.
      for (const place of places) {
        if (place.end <= start || place.start >= end) continue;
        const from = Math.max(place.start, start);
        const to = Math.min(place.end, end);
        take(place.index, from - place.start, bytes.subarray(from - start, to - start));
      }
      upload_ms += performance.now() - came;
    }
  };
  await Promise.all(Array.from({ length: REQUESTS }, worker));
  return { fetch_ms: performance.now() - begin, upload_ms, weight_bytes: size };
}

/**
 * @param {string} path
 * @param {number} start
 * @param {number} end
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function fetchRange(path, start, end) {
  const response = await fetch(path, {
    headers: { Range: `bytes=${start}-${end - 1}` },
    cache: 'no-store',
  });
  if (response.status !== 206) {
    throw new Error(`fetching ${path} failed: ${response.status} ${await response.text()}`);
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.byteLength !== end - start) {
    throw new Error(`${path} has ${bytes.byteLength} bytes from ${start}, ${end - start} were asked for`);
  }
  return bytes;
}
