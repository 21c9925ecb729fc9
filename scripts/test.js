import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { constants, setPriority, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installWhatIsMissing, requireNode, showProgress } from './install.js'

const HELP = `npm test: lint, types, dead code, and every test

  npm test                          everything
  npm test -- --only lint,types     some steps: lint, types, dead-code, tests
  npm test -- sse-gateway           the tests whose path contains a word
  npm run test:peers                against foreign programs: Go, SPIRE, Envoy, nginx, …
  npm run test:containers           the compose file, on a Docker engine`

/** Tests have deadlines, a linter has none. */
const BESIDE_THE_TESTS = constants.priority.PRIORITY_BELOW_NORMAL

/** Where TypeScript keeps what it has checked. */
const known = (name) => ['--incremental', '--tsBuildInfoFile', `.hallpass/${name}.tsbuildinfo`]

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
await installWhatIsMissing(root)

const args = process.argv.slice(2)
if (args.includes('--help')) {
  console.log(HELP)
  process.exit(0)
}
const containers = take('--containers')
const peers = take('--peers')
const only = take('--only', true)?.split(',')
const unknown = only?.filter((step) => step !== 'tests' && !(step in STEPS))
if (unknown?.length) {
  console.error(`There is no step ${unknown.join(', ')}.\n\n${HELP}`)
  process.exit(2)
}
const wants = (step) => (only ? only.includes(step) : args.length === 0 && !peers && !containers)

const totals = { passed: 0, failed: 0, skipped: 0 }
const steps = Object.keys(STEPS).filter(wants)
const checked = steps.length > 0 ? check() : undefined
// The system tests start the bundles, as `npm start` does.
if (wants('tests') || args.length > 0 || peers) await (await import('./bundle.js')).bundle(root)
if (containers) await runTests(['--testMatch', '**/*.containers.ts', '--runInBand'])
else if (peers) await runTests(['--testMatch', '**/*.peer.ts', '--runInBand'])
else if (args.length > 0) await runTests([])
else if (wants('tests'))
  await runTests(
    // Jest leaves one core of two to itself unless it is told otherwise.
    ['--testMatch', '**/*.test.ts', '--maxWorkers=2'],
    // Each starts the whole suite or a browser, and mostly waits for it.
    ['--testMatch', '**/*.e2e.ts', '--maxWorkers=2'],
  )
await checked

const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : ''
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`)
process.exit(totals.failed > 0 ? 1 : 0)

/** The steps, all at once and beside the tests, which often wait for something. */
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
 * Runs selections of tests side by side. Jest prints its own progress, the first as it goes and the others at their end;
 * the totals join those of the steps. Files with a failure run once more, alone: on two busy cores a deadline can pass
 * that nothing in the code has to do with. What passes only then is named.
 */
async function runTests(...selections) {
  const runs = await Promise.all(
    selections.map((selection, index) => jest([...selection, ...args], index === 0 ? 'inherit' : 'pipe')),
  )
  for (const { output } of runs) process.stderr.write(output)
  for (const first of runs) {
    if (first.failedFiles.length === 0) {
      count(first)
      continue
    }
    console.error(
      `\nOnce more, one at a time: ${first.failedFiles.map((file) => file.slice(root.length + 1)).join(', ')}`,
    )
    const second = await jest([
      '--runInBand',
      '--testMatch',
      '**/*.ts',
      '--runTestsByPath',
      ...first.failedFiles,
    ])
    for (const name of first.failedTests)
      if (!second.failedTests.includes(name)) console.error(`passed at the second attempt only: ${name}`)
    count({
      passed: first.passed - first.passedInFailedFiles + second.passed,
      failed: second.failed,
      skipped: first.skipped - first.skippedInFailedFiles + second.skipped,
    })
  }
}

function count({ passed, failed, skipped }) {
  totals.passed += passed
  totals.failed += failed
  totals.skipped += skipped
}

async function jest(options, progress = 'inherit') {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-test-'))
  const report = join(folder, 'report.json')
  const { code, output } = await run(
    [
      'node_modules/jest/bin/jest.js',
      '--json',
      // A test that failed half-way may leave a server behind; that must not keep the run from ending.
      '--forceExit',
      `--outputFile=${report}`,
      ...options,
    ],
    // Jest sends its JSON to standard output as well as to the file; what a person reads is on the other stream.
    { stdio: ['ignore', 'ignore', progress] },
  )
  const nothing = {
    output,
    passed: 0,
    failed: 0,
    skipped: 0,
    passedInFailedFiles: 0,
    skippedInFailedFiles: 0,
    failedFiles: [],
    failedTests: [],
  }
  let results
  try {
    results = JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return { ...nothing, failed: 1 }
  } finally {
    rmSync(folder, { recursive: true })
  }
  const failedFiles = results.testResults.filter(({ status }) => status === 'failed')
  const among = (status) =>
    failedFiles.flatMap(({ assertionResults }) => assertionResults.filter((test) => test.status === status))
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites
  return {
    output,
    passed: results.numPassedTests,
    failed: code !== 0 && failed === 0 ? 1 : failed,
    skipped: results.numPendingTests,
    passedInFailedFiles: among('passed').length,
    skippedInFailedFiles: among('pending').length,
    failedFiles: failedFiles.map(({ name }) => name),
    failedTests: among('failed').map(({ fullName }) => fullName),
  }
}

async function run(command, { stdio = ['ignore', 'pipe', 'pipe'], priority } = {}) {
  const child = spawn(process.execPath, command, { cwd: root, stdio })
  if (priority && child.pid) setPriority(child.pid, priority)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
  const code = await new Promise((resolve) => child.on('close', resolve))
  return { code, output }
}

/** Takes a flag, with its value if it has one, out of the arguments. */
function take(flag, hasValue = false) {
  const index = args.indexOf(flag)
  if (index === -1) return undefined
  const [, value] = args.splice(index, hasValue ? 2 : 1)
  return hasValue ? value : true
}
