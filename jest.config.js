export default {
  testMatch: ['**/*.test.ts', '**/*.e2e.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/\\.hallpass/'],
  modulePathIgnorePatterns: ['/\\.hallpass/'],
  injectGlobals: false,
  testRunner: '<rootDir>/scripts/jest-runner.js',
  transform: {},
  // A system test starts twenty processes on two cores; a unit test that takes this long has failed.
  testTimeout: 20_000,
}
