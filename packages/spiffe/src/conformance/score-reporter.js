/*
 * Prints how many cases of the catalog of spiffe-conformance-test-suite pass, by group. A case passes if at least one test with
 * its ID has run, and all of them have passed.
 */

/** The groups of the catalog with their prefixes, and the number of IDs for each. */
const GROUPS = [
  ['endpoint', { EP: 8 }],
  ['Workload API', { WA: 4 }],
  ['X.509 source', { XS: 5 }],
  ['X.509 validation', { XV: 15 }],
  ['X.509 federation', { XF: 3 }],
  ['JWT validation', { JV: 25 }],
  ['JWT bundles', { JB: 8 }],
  ['JWT-SVID fetching', { JF: 4 }],
  ['SPIFFE IDs', { ID: 2 }],
  ['hardening (optional)', { HX: 9 }],
]

const ID = /\b(?:EP|WA|XS|XV|XF|JV|JB|JF|ID|HX)-\d+/g

/** Jest requires a reporter to be a class and the module's default export. */
// biome-ignore lint/style/noDefaultExport: Jest requires it for reporters.
export default class ScoreReporter {
  #failed = false

  onRunComplete(_contexts, { testResults }) {
    const verdicts = new Map()
    let cases = 0
    for (const { testResults: tests, testExecError, testFilePath } of testResults) {
      if (testExecError) this.#fail(`${testFilePath}: ${testExecError.message}`)
      for (const { title, fullName, status } of tests) {
        cases += 1
        if (status !== 'passed') this.#fail(`${status}: ${fullName}`)
        for (const id of title.match(ID) ?? [])
          verdicts.set(id, status === 'passed' && verdicts.get(id) !== false)
      }
    }
    for (const [group, prefixes] of GROUPS) {
      const ids = Object.entries(prefixes).flatMap(([prefix, count]) =>
        Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`),
      )
      const passed = ids.filter((id) => verdicts.get(id))
      console.log(`${group} ${passed.length}/${ids.length}`)
      for (const id of ids) if (!verdicts.has(id)) this.#fail(`missing: ${id}`)
    }
    console.log(`${cases} cases, ${this.#failed ? 'not all passed' : 'all passed'}`)
  }

  #fail(line) {
    this.#failed = true
    console.log(line)
  }

  /** Makes the command fail. */
  getLastError() {
    return this.#failed ? new Error('the library does not conform') : undefined
  }
}
