import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { constants, setPriority, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installWhatIsMissing, requireNode, showProgress } from './install.js'
import { HELP, parseTestOptions, UsageError } from './test-options.js'

/** Tests have deadlines, a linter has none. */
const BESIDE_THE_TESTS = constants.priority.PRIORITY_BELOW_NORMAL

/** How long Jest may run after it has written its results; its workers get half a second. */
const ENDS_WITHIN_SECONDS = 10

/** Where TypeScript stores what it has checked: not in the state folder, where every file is a key or a secret. */
const known = (name) => [
  '--incremental',
  '--tsBuildInfoFile',
  `node_modules/.cache/hallpass/${name}.tsbuildinfo`,
]

const STEPS = {
  lint: ['node_modules/@biomejs/biome/bin/biome', 'check', '.'],
  types: ['node_modules/typescript/bin/tsc', ...known('types')],
  'types of pages': [
    'node_modules/typescript/bin/tsc',
    '-p',
    'web-ui/tsconfig.browser.json',
    ...known('types-of-pages'),
  ],
  'dead-code': ['node_modules/knip/bin/knip.js', '--no-progress'],
}

requireNode()
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { only, peers, containers, help, selection } = options()
if (help) {
  console.log(HELP)
  process.exit(0)
}
await installWhatIsMissing(root)

const wants = (step) => (only ? only.includes(step) : selection.length === 0 && !peers && !containers)

const totals = { passed: 0, failed: 0, skipped: 0 }
const steps = Object.keys(STEPS).filter(wants)
const checked = steps.length > 0 ? check() : undefined
// The system tests start the bundles, like `npm start`.
if (wants('tests') || selection.length > 0 || peers) await (await import('./bundle.js')).bundle(root)
if (containers) await runTests(['--testMatch', '**/*.containers.ts', '--runInBand'])
else if (peers) await runTests(['--testMatch', '**/*.peer.ts', '--runInBand'])
else if (selection.length > 0) await runTests([])
else if (wants('tests'))
  await runTests(
    // By default Jest would use only one of two cores.
    ['--testMatch', '**/*.test.ts', '--maxWorkers=2'],
    // Each starts the whole suite or a browser, and mostly waits for it.
    ['--testMatch', '**/*.e2e.ts', '--maxWorkers=2'],
  )
await checked

const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : ''
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`)
// Jest succeeds if no test has the name. Interop and container tests skip what is not installed.
const noMatch = selection.length > 0 && !peers && !containers && totals.passed + totals.failed === 0
if (noMatch) console.error(`No test matches: ${selection.join(' ')}`)
process.exit(noMatch || totals.failed > 0 ? 1 : 0)

/** Runs the steps concurrently, and in parallel with the tests, which often wait. */
async function check() {
  const done = showProgress(steps.join(', '), { live: !wants('tests') })
  const results = await Promise.all(steps.map((step) => run(STEPS[step], { priority: BESIDE_THE_TESTS })))
  done(steps.map((step, index) => `${step}: ${results[index].code === 0 ? 'ok' : 'FAILED'}`).join(', '))
  for (const { code, output } of results) {
    totals[code === 0 ? 'passed' : 'failed'] += 1
    if (code !== 0) console.error(output)
  }
}

/**
 * Runs Jest once for each list of options, one after another: each run uses both cores, and two together would only make
 * tests miss their deadlines. A failed file is not run again, because a test that passes only at the second attempt has a
 * defect.
 */
async function runTests(...runs) {
  for (const options of runs) {
    const { passed, failed, skipped } = await jest([...options, ...selection])
    totals.passed += passed
    totals.failed += failed
    totals.skipped += skipped
  }
}

async function jest(options) {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-test-'))
  const report = join(folder, 'report.json')
  const { code } = await run(
    ['node_modules/jest/bin/jest.js', '--json', `--outputFile=${report}`, ...options],
    // Jest sends its JSON to standard output as well as to the file; its progress is on standard error.
    { stdio: ['ignore', 'ignore', 'inherit'], endsAfter: report },
  )
  try {
    const results = JSON.parse(readFileSync(report, 'utf8'))
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites
    return {
      passed: results.numPassedTests,
      failed: code !== 0 && failed === 0 ? 1 : failed,
      skipped: results.numPendingTests,
    }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** @param options.endsAfter the file that the program writes last; it is killed if it does not exit soon after that */
async function run(command, { stdio = ['ignore', 'pipe', 'pipe'], priority, endsAfter } = {}) {
  const child = spawn(process.execPath, command, { cwd: root, stdio })
  const endless = endsAfter && endSoonAfter(endsAfter, child)
  if (priority && child.pid) setPriority(child.pid, priority)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
  const code = await new Promise((resolve) => child.on('close', resolve))
  clearInterval(endless)
  return { code, output }
}

/** Kills Jest if a failed test has left a server open, which would keep the run from ending. */
function endSoonAfter(file, child) {
  let seconds = 0
  return setInterval(() => {
    if (!existsSync(file) || ++seconds < ENDS_WITHIN_SECONDS) return
    console.error('Jest was killed: a failed test file above left something open.')
    child.kill('SIGKILL')
  }, 1_000)
}

/** Parses the command line; exits with 2 if it is invalid. */
function options() {
  try {
    return parseTestOptions(process.argv.slice(2), [...Object.keys(STEPS), 'tests'])
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${error.message}\n\n${HELP}`)
    process.exit(2)
  }
}
