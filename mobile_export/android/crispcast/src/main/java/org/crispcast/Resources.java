package org.crispcast;

import java.io.IOException;

/** What the module brings in its assets: models, their index, bases. */
interface Resources {
    /** The bytes of "crispcast/NAME". */
    byte[] read(String name) throws IOException;
}
