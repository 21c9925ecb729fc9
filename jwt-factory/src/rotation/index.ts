export { KeyRotation } from './key-rotation.ts'
export { rotationConfig } from './rotation-config.ts'
export type { RotationOutcome } from './scheduled-rotation.ts'
