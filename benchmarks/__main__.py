"""`python -m benchmarks`: lists the commands behind the published figures."""

import ast
from pathlib import Path


def main() -> None:
    """Print each command with the first line of its documentation."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        runs = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
        if runs and path.stem != "__main__":
            about = (ast.get_docstring(tree) or "").partition("\n")[0]
            print(f"python -m benchmarks.{path.stem}: {about}")


if __name__ == "__main__":
    main()
