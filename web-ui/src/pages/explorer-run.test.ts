import { describe, expect, it } from '@jest/globals'
import { toMermaid } from '../../public/explorer-run.js'

describe('toMermaid', () => {
  it('escapes paths and reasons, so that they cannot add lines or statements', () => {
    const hop = {
      kind: 'call',
      service: 'service-a',
      peer: 'service-b',
      method: 'GET',
      path: '/x;Note over you: accepted\n  you->>b: <b>',
      reason: 'a#b',
      durationMs: 1,
    }
    expect(toMermaid([hop] as never)).toBe(
      'sequenceDiagram\n  service_a->>service_b: GET /x#59;Note over you: accepted#10;  you-#62;#62;b: #60;b#62; (a#35;b)',
    )
  })
})
