import {
  DerError,
  DerReader,
  type Element,
  inside,
  readBits,
  readBoolean,
  readObjectIdentifier,
  readSmallInteger,
  TAG,
} from '../der/index.ts'
import { KEY_USAGES, type KeyUsage } from '../key-usage.ts'

interface Extension {
  readonly critical: boolean
  readonly value: Buffer
}

/** @throws DerError */
export function readExtensions(element: Element | undefined) {
  const extensions = new Map<string, Extension>()
  if (element) {
    const wrapper = inside(element)
    const list = inside(wrapper.expect(TAG.sequence))
    wrapper.end()
    while (!list.done) {
      const extension = inside(list.expect(TAG.sequence))
      const oid = readObjectIdentifier(extension.expect(TAG.objectIdentifier))
      const flag = extension.optional(TAG.boolean)
      const value = extension.expect(TAG.octetString).content
      extension.end()
      // RFC 5280 §4.2 forbids duplicates: two readers could use different ones.
      if (extensions.has(oid)) throw new DerError(`duplicate extension ${oid}`)
      extensions.set(oid, { critical: flag ? readBoolean(flag) : false, value })
    }
  }
  return {
    take(oid: string): Extension | undefined {
      const extension = extensions.get(oid)
      extensions.delete(oid)
      return extension
    },
    criticalLeft: () => [...extensions].filter(([, { critical }]) => critical).map(([oid]) => oid),
  }
}

export function readBasicConstraints(value: Buffer | undefined) {
  if (!value) return { isCa: false, maxPathLength: undefined }
  const outer = new DerReader(value)
  const constraints = inside(outer.expect(TAG.sequence))
  outer.end()
  const ca = constraints.optional(TAG.boolean)
  const length = constraints.optional(TAG.integer)
  constraints.end()
  return {
    isCa: ca ? readBoolean(ca) : false,
    maxPathLength: length ? readSmallInteger(length) : undefined,
  }
}

export function readKeyUsages(value: Buffer): ReadonlySet<KeyUsage> {
  const reader = new DerReader(value)
  const bits = readBits(reader.expect(TAG.bitString))
  reader.end()
  return new Set(KEY_USAGES.filter((_, bit) => bits.has(bit)))
}

export function readKeyIdentifier(value: Buffer): Buffer {
  const reader = new DerReader(value)
  const { content } = reader.expect(TAG.octetString)
  reader.end()
  return content
}

export function readExtendedKeyUsages(value: Buffer): string[] {
  const outer = new DerReader(value)
  const list = inside(outer.expect(TAG.sequence))
  outer.end()
  const usages: string[] = []
  while (!list.done) usages.push(readObjectIdentifier(list.expect(TAG.objectIdentifier)))
  return usages
}
