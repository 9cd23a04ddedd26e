// The alphabet of byte-level BPE: each of the 256 bytes as one printable character, as GPT-2 chose them.

/** Byte to character: printable Latin-1 stands for itself, the other 68 bytes take U+0100 and on, in order. */
export const byteCharacters: readonly string[] = (() => {
  const out: string[] = []
  let extra = 0
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    out.push(String.fromCharCode(printable ? byte : 0x100 + extra++))
  }
  return out
})()

const byteOf = new Map(byteCharacters.map((character, byte) => [character, byte]))

/** The bytes a token's text stands for; text outside the alphabet stands for itself, in UTF-8. */
export function bytesOfToken(text: string): Uint8Array {
  const out = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const byte = byteOf.get(text[i]!)
    if (byte === undefined) return new TextEncoder().encode(text)
    out[i] = byte
  }
  return out
}
