import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Module } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from '@jest/globals'
import { loadOptional } from './optional-module.ts'

const folder = mkdtempSync(join(tmpdir(), 'hallpass-modules-'))
afterAll(() => rmSync(folder, { recursive: true }))

it('names the command that installs a missing package', () => {
  expect(() => loadOptional('no-such-package', 'SIGNER=pkcs11')).toThrow(
    'SIGNER=pkcs11 needs the package no-such-package. Install it: npm install no-such-package',
  )
})

it('names the command that builds a package whose native code is missing', () => {
  mkdirSync(join(folder, 'not-built'))
  writeFileSync(join(folder, 'not-built/package.json'), '{"name":"not-built"}')
  writeFileSync(join(folder, 'not-built/index.js'), 'require("./build/Release/not-built.node")')
  const before = process.env.NODE_PATH
  const { _initPaths } = Module as unknown as { _initPaths(): void }
  process.env.NODE_PATH = folder
  _initPaths()
  try {
    expect(() => loadOptional('not-built', 'SIGNER=pkcs11')).toThrow(
      'SIGNER=pkcs11 needs the package not-built, which does not load. Build it for this Node: npm rebuild not-built',
    )
  } finally {
    if (before === undefined) delete process.env.NODE_PATH
    else process.env.NODE_PATH = before
    _initPaths()
  }
})
