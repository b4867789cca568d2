package android.content;

import android.content.res.AssetManager;
import java.io.File;

public class Context {
    public Context getApplicationContext() {
        throw new UnsupportedOperationException();
    }

    public AssetManager getAssets() {
        throw new UnsupportedOperationException();
    }

    public File getCacheDir() {
        throw new UnsupportedOperationException();
    }
}
