"""SQL tests on Spark: a step's compiled statement over the rows of a case."""

from pipelines.execution.sql_tests.binding import BoundCase, bind_case
from pipelines.execution.sql_tests.case_run import result_of, run_case

__all__ = ["BoundCase", "bind_case", "result_of", "run_case"]
