import { register } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { jestExpect as expect } from '@jest/expect'
import { createEmptyTestResult } from '@jest/test-result'
import * as circus from 'jest-circus'
import { formatExecError, formatResultsErrors } from 'jest-message-util'
import { useTestEnvironment } from './test-environment.js'

useTestEnvironment()
register('./jest-modules.js', import.meta.url)
process.setSourceMapsEnabled(true)
circus.addEventHandler(followTest)
// Node opens these at their first use. They belong to the worker, so no test file has left them open.
void [process.stdin, process.stdout, process.stderr]

/**
 * Runs a test file with jest-circus on Node's own module loader, in the worker process. By default Jest would load
 * Express, undici and everything else again for each file, which takes longer than the tests of most files (decision
 * 1). A module is loaded once per worker, so tests must restore any module state that they change.
 */
export default async function runFile(globalConfig, config, environment, _runtime, path) {
  const before = { console: globalThis.console, env: { ...process.env } }
  globalThis.console = environment.global.console
  // Node maps stack traces itself; Jest's handler knows only files that Jest has transformed.
  Error.prepareStackTrace = undefined
  circus.resetState()
  const state = circus.getState()
  state.testTimeout = globalConfig.testTimeout ?? config.testTimeout ?? state.testTimeout
  if (globalConfig.testNamePattern) state.testNamePattern = new RegExp(globalConfig.testNamePattern, 'i')
  expect.setState({ expand: globalConfig.expand, testPath: path })
  for (const event of LOOSE) process.on(event, failRunningTest)
  const openBefore = process.getActiveResourcesInfo()
  try {
    await import(pathToFileURL(path))
    const outcome = await circus.run()
    // A failed test may leave something open; its failure is enough to report.
    const failed =
      outcome.unhandledErrors.length > 0 || outcome.testResults.some(({ errors }) => errors.length > 0)
    const open = failed ? [] : await leftOpen(openBefore)
    if (open.length > 0) outcome.unhandledErrors.push(`The tests of this file left open: ${open.join(', ')}.`)
    return toTestResult(outcome, config, globalConfig, path)
  } finally {
    for (const event of LOOSE) process.off(event, failRunningTest)
    globalThis.console = before.console
    for (const name of Object.keys(process.env)) if (!(name in before.env)) delete process.env[name]
    Object.assign(process.env, before.env)
  }
}

/** Errors that do not reach a test on their own. */
const LOOSE = ['uncaughtException', 'unhandledRejection']

/** Longer than the connection timeouts of clients (10 s), whose timers end by themselves after a close. */
const CLOSING_MS = 12_000

/**
 * Returns the kinds of resources that the file has opened and not closed, such as servers, sockets, timers and child
 * processes that no `afterAll` has stopped. They would keep Jest from exiting.
 */
async function leftOpen(before) {
  const until = performance.now() + CLOSING_MS
  for (;;) {
    const open = process.getActiveResourcesInfo()
    for (const resource of before) {
      const index = open.indexOf(resource)
      if (index !== -1) open.splice(index, 1)
    }
    if (open.length === 0 || performance.now() > until) return open
    await pause(20)
  }
}

function failRunningTest(error) {
  const { currentlyRunningTest, unhandledErrors } = circus.getState()
  if (currentlyRunningTest) currentlyRunningTest.errors.push(error)
  else unhandledErrors.push([error, error])
}

function followTest({ name, test }) {
  if (name === 'test_start') expect.setState({ currentTestName: test.name, suppressedErrors: [] })
  if (name === 'test_done')
    test.errors.push(...expect.extractExpectedAssertionsErrors().map(({ error }) => error))
}

const STATUS = { skip: 'pending', todo: 'todo' }

/** What Jest's reporters read. */
function toTestResult({ testResults, unhandledErrors }, config, globalConfig, path) {
  const results = testResults.map(({ testPath, errors, errorsDetailed, status, duration, invocations }) => {
    const [, ...titles] = testPath
    return {
      ancestorTitles: titles.slice(0, -1),
      title: titles.at(-1),
      fullName: titles.join(' '),
      duration,
      failureDetails: errorsDetailed,
      failureMessages: errors,
      invocations,
      numPassingAsserts: 0,
      status: errors.length > 0 ? 'failed' : (STATUS[status] ?? 'passed'),
    }
  })
  const count = (status) => results.filter((result) => result.status === status).length
  const testExecError =
    unhandledErrors.length > 0 ? { message: '', stack: unhandledErrors.join('\n') } : undefined
  const failures = formatResultsErrors(results, config, globalConfig, path) ?? ''
  return {
    ...createEmptyTestResult(),
    failureMessage: testExecError
      ? `${failures}\n${formatExecError(testExecError, config, globalConfig)}`
      : failures || null,
    numFailingTests: count('failed'),
    numPassingTests: count('passed'),
    numPendingTests: count('pending'),
    numTodoTests: count('todo'),
    testExecError,
    testFilePath: path,
    testResults: results,
  }
}
