/**
 * The frame number that travels inside the video (docs/frame-identity.md): a SEI message of H.264
 * (ITU-T H.264, 7.3.2.3 and D.1.7) or a metadata OBU of AV1 (AV1 specification, 5.3 and 6.7.1).
 *
 * @module
 */

// prettier-ignore
const UUID = [
  0xc7, 0xa1, 0xd3, 0x5e, 0x9b, 0x02, 0x4f, 0x6b, 0x8e, 0x4c, 0x1f, 0x0d, 0x6a, 0x52, 0xb9, 0x3e,
];
const PAYLOAD_BYTES = 29;
const NAL_SEI = 6;
const USER_DATA_UNREGISTERED = 5;
const OBU_METADATA = 5;
const METADATA_IDENTITY = 19;
const NOWHERE = { value: 0, next: -1 };

/**
 * The identity in a coded frame as WebRTC gives it, or null. Safe on any bytes.
 * @param {Uint8Array} unit Annex B access unit, or AV1 temporal unit @param {'h264' | 'av1'} codec
 * @returns {{package: string, rung: number, frame: number} | null}
 */
export function identityIn(unit, codec) {
  for (const payload of codec === 'av1' ? metadataOf(unit) : messagesOf(unit)) {
    const identity = parse(payload);
    if (identity) return identity;
  }
  return null;
}

function parse(payload) {
  if (payload.length !== PAYLOAD_BYTES || UUID.some((byte, i) => payload[i] !== byte)) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const hex = Array.from(payload.subarray(16, 24), (byte) => byte.toString(16).padStart(2, '0'));
  return { package: hex.join(''), rung: payload[24], frame: view.getUint32(25) };
}

/** User data of the SEI NAL units before the first slice. */
function* messagesOf(unit) {
  for (let start = nextUnit(unit, 0); start >= 0 && start < unit.length; ) {
    const kind = unit[start] & 31;
    if (kind >= 1 && kind <= 5) return; // the picture's slices: nothing of ours comes after them
    const next = nextUnit(unit, start);
    if (kind === NAL_SEI) yield* seiMessages(unescaped(unit, start + 1, next < 0 ? unit.length : next));
    start = next;
  }
}

/** Where the NAL unit after the next start code begins, or -1. */
function nextUnit(bytes, from) {
  for (let at = from; at + 3 < bytes.length; ++at)
    if (bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] === 1) return at + 3;
  return -1;
}

/** Without emulation prevention (7.3.1); a SEI of ours is short, so no more than 300 bytes are read. */
function unescaped(bytes, start, end) {
  const out = [];
  let zeros = 0;
  for (let at = start; at < end && out.length < 300; ++at) {
    if (zeros >= 2 && bytes[at] === 3) {
      zeros = 0;
      continue;
    }
    out.push(bytes[at]);
    zeros = bytes[at] === 0 ? zeros + 1 : 0;
  }
  return Uint8Array.from(out);
}

function* seiMessages(rbsp) {
  let at = 0;
  const number = () => {
    let value = 0;
    while (rbsp[at] === 255) {
      value += 255;
      ++at;
    }
    return value + (rbsp[at++] ?? 0);
  };
  while (at + 2 < rbsp.length) {
    const kind = number();
    const size = number();
    if (at + size > rbsp.length) return;
    if (kind === USER_DATA_UNREGISTERED) yield rbsp.subarray(at, at + size);
    at += size;
  }
}

function* metadataOf(unit) {
  for (let at = 0; at < unit.length; ) {
    const header = unit[at];
    if (header & 0x81) return;
    let body = at + (header & 4 ? 2 : 1);
    let end = unit.length;
    if (header & 2) {
      const size = leb128(unit, body);
      if (size.next < 0 || size.next + size.value > unit.length) return;
      body = size.next;
      end = body + size.value;
    }
    // After the type comes the payload, then trailing bits.
    if (((header >> 3) & 15) === OBU_METADATA && unit[body] === METADATA_IDENTITY)
      yield unit.subarray(body + 1, end - 1);
    at = end;
  }
}

function leb128(bytes, from) {
  let value = 0;
  for (let i = 0; i < 8 && from + i < bytes.length; ++i) {
    value += (bytes[from + i] & 127) * 2 ** (7 * i);
    if (bytes[from + i] < 128) return { value, next: from + i + 1 };
  }
  return NOWHERE;
}
