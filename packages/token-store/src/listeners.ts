import type { Change } from './shared-store.ts'

/** The listeners of one zone. */
export class Listeners {
  readonly #listeners: ((change: Change) => void)[] = []

  add(listener: (change: Change) => void): void {
    this.#listeners.push(listener)
  }

  tell(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }
}
