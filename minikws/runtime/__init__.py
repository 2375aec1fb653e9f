"""Run int8 and float32 .tflite models with NumPy alone, to TFLite Micro's integers."""

from minikws.runtime.interpreter import Interpreter
from minikws.runtime.planner import Plan, plan
from minikws.runtime.summary import OpSummary, Summary, summarize

__all__ = ["Interpreter", "OpSummary", "Plan", "Summary", "plan", "summarize"]
