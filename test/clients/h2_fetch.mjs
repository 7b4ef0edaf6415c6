// Loaded before a test file (node --import): from then on fetch speaks HTTP/2 wherever the server offers it. Node's own
// does not.

import { Agent, install, setGlobalDispatcher } from 'undici';

setGlobalDispatcher(new Agent({ allowH2: true }));
install();
