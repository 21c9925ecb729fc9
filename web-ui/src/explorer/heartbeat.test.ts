import { expect, it } from '@jest/globals'
import { Heartbeat } from '../../public/heartbeat.js'

it('is late after two missed heartbeats in a row, and not before', () => {
  let now = 1_000
  const heartbeat = new Heartbeat(1_000, () => now)
  now += 2_400
  expect([heartbeat.isLate, heartbeat.silentMs]).toEqual([false, 2_400])
  now += 101
  expect([heartbeat.isLate, heartbeat.silentMs]).toEqual([true, 2_501])
  heartbeat.beat()
  expect([heartbeat.isLate, heartbeat.silentMs]).toEqual([false, 0])
  heartbeat.everyMs = 100
  now += 701
  expect(heartbeat.isLate).toBe(true)
})
