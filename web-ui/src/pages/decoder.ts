import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../sessions/index.ts'
import { type Site, shell } from './shell.ts'

/** Returns the page that reads a token in the browser. Its policy blocks every request of the script, so the token stays there. */
export function decoderPage(site: Site, visitor: Visitor): Markup {
  return shell(site, {
    title: 'Decoder',
    current: '/decoder',
    visitor,
    scripts: ['decoder/decoder.js'],
    content: html`
      <section class="intro">
        <h1>Decode a token</h1>
        <p class="lede">
          Paste a token to see its header, its claims and what a strict verifier checks. The token stays in your browser:
          the page’s content security policy blocks all requests, even to this service, and nothing is stored.
        </p>
      </section>
      <noscript><p class="notice tone-warn">The decoder needs JavaScript.</p></noscript>
      <div class="beside beside-even" id="decoder" hidden>
        <section class="stack" aria-label="Input">
          <p class="actions">
            <button type="button" id="example">Valid example</button>
            <button type="button" id="example-expired">Expired example</button>
            <button type="button" id="example-tampered">Tampered example</button>
            <button type="button" class="quiet" id="clear">Clear</button>
          </p>
          <label class="field">Token
            <textarea id="token" rows="7" class="mono" spellcheck="false" autocomplete="off" autocapitalize="off" placeholder="eyJhbGciOi…"></textarea>
          </label>
          <label class="field">Issuer’s public key <small>JWK, JWKS or PEM; without it, the signature is not verified</small>
            <textarea id="key" rows="5" class="mono" spellcheck="false" autocomplete="off" autocapitalize="off"></textarea>
          </label>
          <div class="fields">
            <label class="field">Expected issuer <input id="issuer" class="mono" spellcheck="false" autocomplete="off" autocapitalize="off"></label>
            <label class="field">Expected audience <input id="audience" class="mono" spellcheck="false" autocomplete="off" autocapitalize="off"></label>
          </div>
          <p class="code mono" id="parts"></p>
        </section>
        <section class="stack" id="result" aria-label="Result" hidden>
          <p class="notice tone-bad" id="fault" role="status" hidden></p>
          <div class="stack" id="reading" hidden>
            <p class="notice" id="verdict" role="status"></p>
            <ul class="findings" id="findings"></ul>
            <h2>Header</h2>
            <pre class="code token-header" id="header" tabindex="0" aria-label="Header"></pre>
            <h2>Claims</h2>
            <pre class="code token-claims" id="claims" tabindex="0" aria-label="Claims"></pre>
          </div>
        </section>
      </div>`,
  })
}
