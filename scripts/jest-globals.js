/** What tests import as '@jest/globals': the functions of the test file that is being loaded. */
export const { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } =
  globalThis[Symbol.for('jest.globals')]
