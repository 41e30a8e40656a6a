import { mediaPeerSuite } from './driver.test.suite.ts';

mediaPeerSuite('node-datachannel');
mediaPeerSuite('werift');
mediaPeerSuite('node-datachannel', 'werift');
mediaPeerSuite('werift', 'node-datachannel');
