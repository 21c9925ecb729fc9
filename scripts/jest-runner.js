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

/**
 * Runs a test file with jest-circus on Node's own module loader, in the process of the worker. Jest's default would load
 * Express, undici and the rest again for each file, which costs more than most of the files' tests (decision 1).
 * A module is loaded once per worker, so a module must not keep state that a test changes and does not restore.
 */
export default async function runFile(globalConfig, config, environment, _runtime, path) {
  const before = { console: globalThis.console, env: { ...process.env } }
  globalThis.console = environment.global.console
  // Node's own reading of source maps, in place of that of Jest, which knows only the files that it has transformed itself.
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
    // A test that fails half-way may leave something behind; its failure says enough.
    const failed =
      outcome.unhandledErrors.length > 0 || outcome.testResults.some(({ errors }) => errors.length > 0)
    const open = failed ? [] : await leftOpen(openBefore)
    if (open.length > 0)
      outcome.unhandledErrors.push(`The tests of this file leave open: ${open.join(', ')}.`)
    return toTestResult(outcome, config, globalConfig, path)
  } finally {
    for (const event of LOOSE) process.off(event, failRunningTest)
    globalThis.console = before.console
    for (const name of Object.keys(process.env)) if (!(name in before.env)) delete process.env[name]
    Object.assign(process.env, before.env)
  }
}

/** Errors that reach no test by themselves. */
const LOOSE = ['uncaughtException', 'unhandledRejection']

/** What is closed has ended by then. */
const CLOSING_MS = 3_000

/**
 * What keeps the process alive that did not before the file: it would keep Jest from ending, as servers, sockets, timers
 * and child processes do that no `afterAll` has stopped.
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
