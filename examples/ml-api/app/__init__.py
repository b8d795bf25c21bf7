"""An ML API for Cloud Run: classifies iris flowers by four measures of sepal and petal."""
