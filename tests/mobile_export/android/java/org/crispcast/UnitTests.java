package org.crispcast;

import java.lang.reflect.Method;
import org.junit.Test;

/** UnitTests CLASS...: runs the module's own tests, without JUnit. */
public final class UnitTests {
    private UnitTests() {}

    public static void main(String[] classes) throws Exception {
        int passed = 0;
        for (String name : classes)
            for (Method method : Class.forName(name).getDeclaredMethods())
                if (method.isAnnotationPresent(Test.class)) {
                    method.invoke(Class.forName(name).getConstructor().newInstance());
                    ++passed;
                }
        System.out.println(passed + " ok");
    }
}
