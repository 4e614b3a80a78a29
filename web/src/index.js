/** Runs device banks in the browser: many subnets over one file of weights. */

export {AdaptiveSession} from './adaptive_session.js';
export {readDeviceBank} from './device_bank.js';
export {InputError} from './errors.js';
export {fromImageData, readImage} from './image_files.js';
export {LatencyFollower} from './latency_follower.js';
export {Preprocessing} from './preprocessing.js';
export {BankSelection} from './selection.js';
