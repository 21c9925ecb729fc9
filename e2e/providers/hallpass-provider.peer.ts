import { describeWith } from '@hallpass/service-kit/testing'
import { hallpassProvider } from './hallpass-provider.ts'
import { testJourney } from './journey.ts'
import { useJourney } from './journey-system.ts'

describeWith('chromium', 'apt-get install chromium')('the web UI with the suite’s identity provider', () => {
  testJourney(useJourney(hallpassProvider))
})
