package org.crispcast;

import android.app.Activity;
import android.app.Application;
import android.os.Bundle;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/** Tells when the last activity of an app goes out of sight, and when one comes back. */
final class Background implements Application.ActivityLifecycleCallbacks {
    /** Told on the main thread. */
    interface Watcher {
        void background(boolean on);
    }

    private final Application application;
    private final Watcher watcher;
    private final Set<Activity> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    private boolean any;

    Background(Application application, Watcher watcher) {
        this.application = application;
        this.watcher = watcher;
        application.registerActivityLifecycleCallbacks(this);
    }

    void stop() {
        application.unregisterActivityLifecycleCallbacks(this);
    }

    @Override
    public void onActivityStarted(Activity activity) {
        if (seen.isEmpty() && any) watcher.background(false);
        seen.add(activity);
        any = true;
    }

    @Override
    public void onActivityStopped(Activity activity) {
        seen.remove(activity); // not in it: it was in sight before this began to watch
        any = true;
        if (seen.isEmpty()) watcher.background(true);
    }

    @Override
    public void onActivityCreated(Activity activity, Bundle state) {}

    @Override
    public void onActivityResumed(Activity activity) {}

    @Override
    public void onActivityPaused(Activity activity) {}

    @Override
    public void onActivitySaveInstanceState(Activity activity, Bundle state) {}

    @Override
    public void onActivityDestroyed(Activity activity) {}
}
