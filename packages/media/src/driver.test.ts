import { mediaPeerSuite } from './driver.test.suite.ts';

mediaPeerSuite('node-datachannel');
