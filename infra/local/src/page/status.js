/* The view for real sides: the operation alone. */

import { begin, complain, onLanguage, recovered, trouble } from "./shared.js";
import * as operation from "./operation.js";

const look = () => operation.refresh().then(recovered, error => trouble(error.message));
onLanguage(look);
begin().then(look).then(() => setInterval(look, 1000)).catch(error => complain(error.message));
