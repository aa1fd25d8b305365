/* How the public calls are declared. */
#ifndef DFAISS_EXPORT_H
#define DFAISS_EXPORT_H

#if defined(__GNUC__)
/* Visible outside the library. */
#define DFAISS_API __attribute__((visibility("default")))
/* The compiler warns where the status that a call returns is dropped. */
#define DFAISS_CHECKED __attribute__((warn_unused_result))
#else
#define DFAISS_API
#define DFAISS_CHECKED
#endif

#endif
