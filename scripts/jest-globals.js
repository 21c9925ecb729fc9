/** What `@jest/globals` exports to a test file: here without Jest's own module system around it. */
export { jestExpect as expect } from '@jest/expect'
export { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } from 'jest-circus'
