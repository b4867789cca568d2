package org.crispcast;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What `crispcast export --target android` put beside the models: models.tsv, with lines of
 *
 * <pre>
 * package ID
 * model   PLAN FORM FILE COLUMNS ROWS SCALE REACH INPUTS     (tabs between; inputs with commas)
 * </pre>
 */
final class ModelIndex {
    /** The package that the models are of. */
    final String packageId;

    final List<Model> models;

    /** One ONNX model: a plan in one shape. */
    static final class Model {
        final String plan;
        final boolean int8;
        final String file;
        final int columns;
        final int rows;
        final int scale;
        final int reach;
        final List<String> inputs;

        Model(String[] fields) {
            plan = fields[1];
            int8 = fields[2].equals("int8");
            file = fields[3];
            columns = Integer.parseInt(fields[4]);
            rows = Integer.parseInt(fields[5]);
            scale = Integer.parseInt(fields[6]);
            reach = Integer.parseInt(fields[7]);
            inputs = Arrays.asList(fields[8].split(","));
        }
    }

    private ModelIndex(String packageId, List<Model> models) {
        this.packageId = packageId;
        this.models = models;
    }

    /**
     * Reads models.tsv.
     *
     * @throws CrispcastException where it is not as the exporter writes it
     */
    static ModelIndex read(String text) throws CrispcastException {
        String packageId = "";
        List<Model> models = new ArrayList<>();
        try {
            for (String line : text.split("\n")) {
                String[] fields = line.split("\t");
                if (fields[0].equals("package")) packageId = fields[1];
                if (fields[0].equals("model")) models.add(new Model(fields));
            }
        } catch (ArrayIndexOutOfBoundsException | NumberFormatException error) {
            throw new CrispcastException(
                    CrispcastException.BACKEND, "models.tsv is damaged: export the module again");
        }
        return new ModelIndex(packageId, models);
    }
}
