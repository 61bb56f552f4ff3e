"""Results as FHIR resources, and to a server."""
