import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../visitor.ts'
import { type Site, shell } from './shell.ts'

/** Reads a token in the browser. The policy of this page lets its script call nobody, so what is pasted stays. */
export function decoderPage(site: Site, visitor: Visitor): Markup {
  return shell(site, {
    title: 'Decoder',
    current: '/decoder',
    visitor,
    scripts: ['decoder/decoder.js'],
    content: html`
      <section class="intro">
        <h1>Read a token.</h1>
        <p class="lede">
          Paste one, and see what it says and what a strict verifier would say of it. It stays in this page: the page’s
          policy lets its script call nobody, not even this service, and nothing is kept.
        </p>
      </section>
      <noscript><p class="notice tone-warn">Reading is done by a script in your browser, and scripts are off.</p></noscript>
      <div class="beside beside-even" id="decoder" hidden>
        <section class="stack" aria-label="What is read">
          <p class="actions">
            <button type="button" id="example">An example</button>
            <button type="button" id="example-expired">Expired</button>
            <button type="button" id="example-tampered">Tampered with</button>
            <button type="button" class="quiet" id="clear">Clear</button>
          </p>
          <label class="field">Token
            <textarea id="token" rows="7" class="mono" spellcheck="false" autocomplete="off" autocapitalize="off" placeholder="eyJhbGciOi…"></textarea>
          </label>
          <label class="field">Public key of the issuer <small>JWK, key set or PEM; without it the signature stays open</small>
            <textarea id="key" rows="5" class="mono" spellcheck="false" autocomplete="off" autocapitalize="off"></textarea>
          </label>
          <div class="fields">
            <label class="field">Issuer you trust <input id="issuer" class="mono" spellcheck="false" autocomplete="off" autocapitalize="off"></label>
            <label class="field">Audience that you are <input id="audience" class="mono" spellcheck="false" autocomplete="off" autocapitalize="off"></label>
          </div>
          <p class="code mono" id="parts"></p>
        </section>
        <section class="stack" id="result" aria-label="What it says" hidden>
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
