import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { KEY_USAGES } from './key-usage.ts'
import { type Certificate, parseCertificate, uriNames } from './read/certificate.ts'
import { chains } from './testing/chains.ts'
import { NOW } from './testing/forge.ts'

/** The answer of the program in peers/go to a chain. */
interface Answer {
  /** Why Go rejects the chain; empty if it accepts it. */
  readonly error: string
  /** Whether Go could read the leaf, which the other members describe. */
  readonly readable: boolean
  readonly subject: string
  readonly issuer: string
  readonly notBefore: number
  readonly notAfter: number
  readonly dnsNames: readonly string[] | null
  readonly uris: readonly string[] | null
  readonly isCa: boolean
  readonly pathLength: number
  readonly keyUsage: number
  readonly keyIdentifier: string
  readonly fingerprint: string
}

describeWith('go', 'https://go.dev/dl')("Go's crypto/x509", () => {
  let folder: string
  const answers = new Map<string, Answer>()

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'go-x509-'))
    copyFileSync(join(import.meta.dirname, '../peers/go/main.go'), join(folder, 'main.go'))
    writeFileSync(join(folder, 'go.mod'), 'module peer\n\ngo 1.24.0\n')
    execFileSync('go', ['build', '-o', 'peer', '.'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    const text = (der: Buffer) => der.toString('base64')
    const questions = chains.map(({ purpose, leaf, intermediates, anchors }) => ({
      at: NOW,
      server: purpose === 'serverAuth',
      leaf: text(leaf),
      intermediates: intermediates.map(text),
      anchors: anchors.map(text),
    }))
    const input = questions.map((question) => `${JSON.stringify(question)}\n`).join('')
    const lines = execFileSync(join(folder, 'peer'), { input, encoding: 'utf8' }).trim().split('\n')
    lines.forEach((line, index) => {
      answers.set(chains[index]?.name ?? '', JSON.parse(line))
    })
  }, 120_000)
  afterAll(() => rmSync(folder, { recursive: true }))

  it('answers for every chain, and all chains have different names', () => {
    expect(answers.size).toBe(chains.length)
  })

  it.each(chains.map((chain) => [chain.name, chain] as const))(
    'decides the same, or as explained: %s',
    (name, chain) => {
      const error = answers.get(name)?.error
      const accepts = chain.go?.accepts ?? chain.verdict === 'accepted'
      expect(error === '' ? 'accepted' : `rejected: ${error}`).toMatch(
        accepts ? /^accepted$/ : /^rejected: x509: /,
      )
      // Fails if an explanation is no longer needed.
      if (chain.go) expect(chain.go.accepts).not.toBe(chain.verdict === 'accepted')
    },
  )

  it.each(
    chains.filter(({ verdict }) => verdict !== 'malformed_der').map((chain) => [chain.name, chain] as const),
  )('reads the leaf the same: %s', (name, { leaf }) => {
    const go = answers.get(name)
    // Go cannot read an unknown curve or a negative serial number.
    if (!go?.readable)
      return expect(['secp256k1 keys, ECDSA-SHA256', 'a negative serial number']).toContain(name)
    expect(described(parseCertificate(leaf))).toEqual({ ...go, error: '', readable: true })
  })
})

/** Converts what our reader found to the form of Go's answer. */
function described(certificate: Certificate): Answer {
  const dnsNames = certificate.names.flatMap(({ kind, value }) =>
    kind === 'dns' ? value.toString('latin1') : [],
  )
  const uris = uriNames(certificate)
  const usages = KEY_USAGES.map((usage, bit) => (certificate.keyUsages?.has(usage) ? 1 << bit : 0))
  return {
    error: '',
    readable: true,
    subject: certificate.subject.toString('hex'),
    issuer: certificate.issuer.toString('hex'),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    dnsNames: dnsNames.length === 0 ? null : dnsNames,
    uris: uris.length === 0 ? null : uris,
    isCa: certificate.isCa,
    pathLength: certificate.maxPathLength ?? -1,
    keyUsage: usages.reduce((all, bit) => all | bit, 0),
    keyIdentifier: certificate.keyIdentifier?.toString('hex') ?? '',
    fingerprint: createHash('sha256').update(certificate.raw).digest('hex'),
  }
}
