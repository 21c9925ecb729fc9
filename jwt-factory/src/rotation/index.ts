export { KeyRotation } from './key-rotation.ts'
export { rotationConfig } from './rotation-config.ts'
export type { RotatingKey } from './rotation-plan.ts'
export type { RotatingKeys, RotationOutcome } from './scheduled-rotation.ts'
