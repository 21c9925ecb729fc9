export { picture } from './picture.ts'
export { problemPage } from './problem.ts'
export { type ProviderPages, providerPages } from './provider-pages.ts'
export { signInPage } from './sign-in.ts'
