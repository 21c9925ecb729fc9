/** The exports of `@jest/globals` for test files, without Jest's own module system. */
export { jestExpect as expect } from '@jest/expect'
export { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } from 'jest-circus'
