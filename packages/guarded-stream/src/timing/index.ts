export { ChallengeSpread } from './challenge-spread.ts'
export { Deadline, TimerWheel } from './timer-wheel.ts'
