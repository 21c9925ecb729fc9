import { type Certificate, parseCertificate } from './certificate.ts'

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g

/** Parses the CERTIFICATE blocks of a PEM string and skips others. @throws DerError */
export function parsePemCertificates(pem: string): Certificate[] {
  return [...pem.matchAll(PEM_BLOCK)]
    .filter(([, label]) => label === 'CERTIFICATE')
    .map(([block]) => {
      const body = block.replace(/-----[^-]+-----/g, '').replace(/\s+/g, '')
      return parseCertificate(Buffer.from(body, 'base64'))
    })
}

export const toPem = ({ raw }: Pick<Certificate, 'raw'>): string =>
  `-----BEGIN CERTIFICATE-----\n${raw.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
