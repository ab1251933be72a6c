"""Metrics: of every phone call when it ends, and of our own health."""

from trunktrace.metrics.calls import CallMetrics, call_metrics
from trunktrace.metrics.health import HealthMetrics, health

__all__ = ["CallMetrics", "HealthMetrics", "call_metrics", "health"]
