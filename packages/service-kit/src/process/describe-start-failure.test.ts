import { readFileSync } from 'node:fs'
import { StateFileError } from '@hallpass/private-files'
import { describe, expect, it } from '@jest/globals'
import { ConfigError } from './config.ts'
import { describeStartFailure } from './describe-start-failure.ts'

const taken = (port: number) => Object.assign(new Error('listen'), { code: 'EADDRINUSE', port })

describe('describeStartFailure', () => {
  it('names every port in use, with a fix', () => {
    const { message, exitCode } = describeStartFailure(new AggregateError([taken(3001), taken(8443)]))
    expect(message).toBe(
      'port 3001 is in use by another process. Stop it (lsof -i :3001), or choose another port; ' +
        'port 8443 is in use by another process. Stop it (lsof -i :8443), or choose another port',
    )
    expect(exitCode).toBe(69)
  })

  it('names the variable of a port', () => {
    const config = { host: 'localhost', port: 3001, httpsPort: 8443, tokenLifetimeSeconds: 3001 }
    const { message } = describeStartFailure(new AggregateError([taken(3001), taken(8443)]), config)
    expect(message).toMatch(
      /:3001\), or choose another port with PORT; .* or choose another port with HTTPS_PORT$/,
    )
  })

  it('distinguishes state files, configuration files, variables and other errors', () => {
    expect(describeStartFailure(new StateFileError('/f', 'empty', 'Delete it.'))).toEqual({
      message: '/f: empty. Delete it.',
      exitCode: 74,
    })
    let missing: unknown
    try {
      readFileSync('/does-not-exist/users.json')
    } catch (error) {
      missing = error
    }
    expect(describeStartFailure(missing)).toEqual({
      message: '/does-not-exist/users.json: not found. Create it, or set STATE_FOLDER to another folder.',
      exitCode: 74,
    })
    expect(describeStartFailure(new ConfigError(['PORT is required']))).toMatchObject({ exitCode: 78 })
    expect(describeStartFailure(new Error('odd'))).toEqual({ message: 'odd', exitCode: 1 })
  })
})
